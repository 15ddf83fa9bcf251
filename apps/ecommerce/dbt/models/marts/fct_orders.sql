{{ config(materialized='incremental', unique_key='order_id', event_time='ordered_at') }}

with loaded as (
  select order_id, customer_id, ordered_at, status, payment_method, total, updated_at, batch_id
  from {{ ref('stg_orders') }}
  where refused is null and version = 1
),

{% if is_incremental() %}
published as (
  select order_id, customer_id, ordered_at, status, payment_method, total, updated_at, batch_id
  from {{ this }}
  where order_id in (select order_id from {{ ref('int_touched_orders') }})
),
{% endif %}

placed as (
  select * from loaded
  {% if is_incremental() %}
  union all
  select * from published where order_id not in (select order_id from loaded)
  {% endif %}
),

stated as (
  select order_id, status, updated_at from loaded
  union all
  select order_id, status, occurred_at from {{ ref('stg_order_events') }} where refused is null
  {% if is_incremental() %}
  union all
  select order_id, status, updated_at from published
  {% endif %}
),

latest as (
  select
    order_id,
    status,
    updated_at,
    row_number() over (partition by order_id order by updated_at desc, status desc) as number
  from stated
),

totals as (
  select
    order_id,
    count(*) as item_count,
    cast(sum(amount) as decimal(18, 2)) as amount
  from {{ ref('fct_order_items') }}
  where order_id in (select order_id from {{ ref('int_touched_orders') }})
  group by order_id
)

select
  placed.order_id,
  placed.customer_id,
  placed.ordered_at,
  latest.status,
  placed.payment_method,
  coalesce(totals.item_count, 0) as item_count,
  coalesce(totals.amount, cast(0 as decimal(18, 2))) as amount,
  cast(placed.total as decimal(12, 2)) as total,
  latest.updated_at,
  placed.batch_id
from placed
inner join latest on latest.order_id = placed.order_id and latest.number = 1
left join totals on totals.order_id = placed.order_id
