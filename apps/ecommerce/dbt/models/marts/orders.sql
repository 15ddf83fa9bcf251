select
  ordered.order_id,
  ordered.customer_id,
  ordered.ordered_at,
  ordered.status,
  ordered.payment_method,
  coalesce(total.item_count, 0) as item_count,
  coalesce(total.amount, cast(0 as decimal(18, 2))) as amount,
  ordered.total,
  ordered.updated_at,
  ordered.batch_id
from {{ ref('stg_orders') }} as ordered
left join {{ ref('int_order_totals') }} as total on total.order_id = ordered.order_id
