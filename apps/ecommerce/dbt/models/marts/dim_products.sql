{{ config(materialized='incremental', unique_key='product_id') }}

-- What this run adds to the sales of each product: the orders that it touches, after it and before it.
with added as (
  select
    product_id,
    cast(sum(quantity) as bigint) as units_sold,
    cast(sum(amount) as decimal(18, 2)) as revenue
  from (
    select product_id, quantity, amount
    from {{ ref('fct_order_items') }}
    where order_id in (select order_id from {{ ref('int_touched_orders') }})
    {% if is_incremental() %}
    union all
    select product_id, -quantity, -amount
    from {{ source('published', 'fct_order_items') }} as published
    where order_id in (select order_id from {{ ref('int_touched_orders') }})
    {% endif %}
  ) as sold
  group by product_id
  having sum(quantity) <> 0 or sum(amount) <> 0
),

product as (
  select product_id, name, category, unit_price
  from {{ ref('stg_products') }}
  where refused is null and version = 1
  {% if is_incremental() %}
  union all
  select product_id, name, category, unit_price
  from {{ this }}
  where product_id in (select product_id from added)
    and product_id not in (select product_id from {{ ref('stg_products') }} where refused is null)
  {% endif %}
)

select
  product.product_id,
  product.name,
  product.category,
  cast(product.unit_price as decimal(12, 2)) as unit_price,
  {% if is_incremental() %}coalesce(published.units_sold, 0) + {% endif %}coalesce(added.units_sold, 0) as units_sold,
  cast(
    {% if is_incremental() %}coalesce(published.revenue, 0) + {% endif %}coalesce(added.revenue, 0)
    as decimal(18, 2)
  ) as revenue
from product
left join added on added.product_id = product.product_id
{% if is_incremental() %}
left join {{ this }} as published on published.product_id = product.product_id
{% endif %}
