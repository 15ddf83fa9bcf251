select
  order_id,
  customer_id,
  {{ utc('ordered_at') }} as ordered_at,
  status,
  _batch_id as batch_id
from {{ source('raw', 'orders') }}
