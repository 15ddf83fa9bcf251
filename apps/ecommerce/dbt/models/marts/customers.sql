with totals as (
  select
    customer_id,
    count(*) as orders,
    cast(sum(amount) as decimal(18, 2)) as lifetime_value
  from {{ ref('orders') }}
  group by customer_id
)

select
  customer.customer_id,
  customer.name,
  customer.email,
  customer.country,
  customer.city,
  customer.segment,
  customer.created_at,
  coalesce(totals.orders, 0) as orders,
  coalesce(totals.lifetime_value, cast(0 as decimal(18, 2))) as lifetime_value
from {{ ref('stg_customers') }} as customer
left join totals on totals.customer_id = customer.customer_id
