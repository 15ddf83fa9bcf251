select
  order_item_id,
  order_id,
  product_id,
  quantity,
  unit_price,
  discount,
  amount,
  ordered_at
from {{ ref('int_order_items_priced') }}
