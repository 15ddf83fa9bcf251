with latest as (
  select
    order_id,
    max_by(status, occurred_at) as status,
    max(occurred_at) as occurred_at
  from {{ ref('stg_order_events') }}
  group by order_id
)

select
  placed.order_id,
  placed.customer_id,
  {{ utc('placed.ordered_at') }} as ordered_at,
  coalesce(latest.status, placed.status) as status,
  placed.payment_method,
  placed.total,
  coalesce(latest.occurred_at, {{ utc('placed.updated_at') }}) as updated_at,
  placed._batch_id as batch_id
from {{ source('raw', 'orders') }} as placed
left join latest on latest.order_id = placed.order_id
