{{ config(meta={'dagster': {'ref': {'name': 'fct_orders', 'package': project_name}}}) }}
-- The marts orders and order_items, which Cube joins, must have the same total amount.
select
  ordered.total as orders_total,
  item.total as items_total
from (select coalesce(sum(amount), 0) as total from {{ ref('fct_orders') }}) as ordered
cross join (select coalesce(sum(amount), 0) as total from {{ ref('fct_order_items') }}) as item
where ordered.total <> item.total
