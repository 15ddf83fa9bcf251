{{ config(severity='warn', meta={'dagster': {'ref': {'name': 'fct_orders', 'package': project_name}}}) }}
-- The total of an order is the sum of its items, to the cent, unless some of them are in quarantine or missing.
select
  order_id,
  total,
  amount
from {{ ref('fct_orders') }}
where total <> amount
  and order_id in (select order_id from {{ ref('int_touched_orders') }})
