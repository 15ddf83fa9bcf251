{{ config(materialized='incremental', unique_key='order_item_id', event_time='ordered_at') }}

with ordered as (
  select order_id, ordered_at from {{ ref('stg_orders') }} where refused is null and version = 1
),

item as (
  select order_item_id, order_id, product_id, quantity, unit_price, discount
  from {{ ref('stg_order_items') }}
  where refused is null and version = 1
  {% if is_incremental() %}
  union all
  -- The items of an order that came again, perhaps with another time.
  select order_item_id, order_id, product_id, quantity, unit_price, discount
  from {{ this }}
  where order_id in (select order_id from ordered)
    and order_item_id not in (
      select order_item_id from {{ ref('stg_order_items') }} where refused is null and version = 1
    )
  {% endif %}
),

placed as (
  select order_id, ordered_at from ordered
  {% if is_incremental() %}
  union all
  select order_id, ordered_at
  from {{ source('published', 'fct_orders') }} as published
  where order_id in (select order_id from item) and order_id not in (select order_id from ordered)
  {% endif %}
)

select
  item.order_item_id,
  item.order_id,
  item.product_id,
  cast(item.quantity as integer) as quantity,
  cast(item.unit_price as decimal(12, 2)) as unit_price,
  cast(item.discount as decimal(12, 2)) as discount,
  cast(item.quantity * item.unit_price - item.discount as decimal(18, 2)) as amount,
  placed.ordered_at
from item
inner join placed on placed.order_id = item.order_id
