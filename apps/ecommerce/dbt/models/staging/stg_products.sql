select
  product_id,
  name,
  category,
  unit_price
from {{ source('raw', 'products') }}
