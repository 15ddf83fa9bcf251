select
  item.order_item_id,
  item.order_id,
  item.product_id,
  item.quantity,
  item.unit_price,
  item.discount,
  cast(item.quantity * item.unit_price - item.discount as decimal(18, 2)) as amount,
  ordered.ordered_at
from {{ ref('stg_order_items') }} as item
inner join {{ ref('stg_orders') }} as ordered on ordered.order_id = item.order_id
