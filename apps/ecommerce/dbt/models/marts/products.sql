with totals as (
  select
    product_id,
    cast(sum(quantity) as bigint) as units_sold,
    cast(sum(amount) as decimal(18, 2)) as revenue
  from {{ ref('int_order_items_priced') }}
  group by product_id
)

select
  product.product_id,
  product.name,
  product.category,
  product.unit_price,
  coalesce(totals.units_sold, 0) as units_sold,
  coalesce(totals.revenue, cast(0 as decimal(18, 2))) as revenue
from {{ ref('stg_products') }} as product
left join totals on totals.product_id = product.product_id
