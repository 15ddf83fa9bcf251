{{ config(materialized='incremental', unique_key='day') }}

-- What this run adds to each day: the orders that it touches, after it and before it.
with changed as (
  select cast(ordered_at as date) as day, status, amount, 1 as number
  from {{ ref('fct_orders') }}
  where order_id in (select order_id from {{ ref('int_touched_orders') }})
  {% if is_incremental() %}
  union all
  select cast(ordered_at as date) as day, status, -amount as amount, -1 as number
  from {{ source('published', 'fct_orders') }} as published
  where order_id in (select order_id from {{ ref('int_touched_orders') }})
  {% endif %}
),

added as (
  select
    day,
    sum(number) as orders,
    sum(amount) as gross_revenue,
    sum(case when status = 'cancelled' then amount else 0 end) as cancelled_revenue,
    sum(case when status = 'returned' then amount else 0 end) as returned_revenue
  from changed
  group by day
),

daily as (
  select
    added.day,
    {% for name in ['orders', 'gross_revenue', 'cancelled_revenue', 'returned_revenue'] -%}
    {% if is_incremental() %}coalesce(published.{{ name }}, 0) + {% endif %}added.{{ name }} as {{ name }}{{ ',' if not loop.last }}
    {% endfor %}
  from added
  {% if is_incremental() %}
  left join {{ this }} as published on published.day = added.day
  {% endif %}
)

select
  day,
  cast(orders as bigint) as orders,
  cast(gross_revenue as decimal(18, 2)) as gross_revenue,
  cast(cancelled_revenue as decimal(18, 2)) as cancelled_revenue,
  cast(returned_revenue as decimal(18, 2)) as returned_revenue,
  cast(gross_revenue - cancelled_revenue - returned_revenue as decimal(18, 2)) as revenue
from daily
