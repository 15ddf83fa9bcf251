select
  order_id,
  count(*) as item_count,
  cast(sum(amount) as decimal(18, 2)) as amount
from {{ ref('int_order_items_priced') }}
group by order_id
