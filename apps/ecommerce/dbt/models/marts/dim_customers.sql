{{ config(materialized='incremental', unique_key='customer_id') }}

-- What this run adds to the number and amount of each customer's orders: those that it touches, after it and before it.
with added as (
  select
    customer_id,
    cast(sum(orders) as bigint) as orders,
    cast(sum(amount) as decimal(18, 2)) as amount
  from (
    select customer_id, 1 as orders, amount
    from {{ ref('fct_orders') }}
    where order_id in (select order_id from {{ ref('int_touched_orders') }})
    {% if is_incremental() %}
    union all
    select customer_id, -1, -amount
    from {{ source('published', 'fct_orders') }} as published
    where order_id in (select order_id from {{ ref('int_touched_orders') }})
    {% endif %}
  ) as counted
  group by customer_id
  having sum(orders) <> 0 or sum(amount) <> 0
),

customer as (
  select customer_id, name, lower(email) as email, country, city, segment, created_at
  from {{ ref('stg_customers') }}
  where refused is null and version = 1
  {% if is_incremental() %}
  union all
  select customer_id, name, email, country, city, segment, created_at
  from {{ this }}
  where customer_id in (select customer_id from added)
    and customer_id not in (select customer_id from {{ ref('stg_customers') }} where refused is null)
  {% endif %}
)

select
  customer.customer_id,
  customer.name,
  customer.email,
  customer.country,
  customer.city,
  customer.segment,
  customer.created_at,
  {% if is_incremental() %}coalesce(published.orders, 0) + {% endif %}coalesce(added.orders, 0) as orders,
  cast(
    {% if is_incremental() %}coalesce(published.lifetime_value, 0) + {% endif %}coalesce(added.amount, 0)
    as decimal(18, 2)
  ) as lifetime_value
from customer
left join added on added.customer_id = customer.customer_id
{% if is_incremental() %}
left join {{ this }} as published on published.customer_id = customer.customer_id
{% endif %}
