{{ config(meta={'dagster': {'ref': {'name': 'fct_order_items', 'package': project_name}}}) }}
-- Of the orders that this run touches; all others passed the test when they were published.
select order_item_id
from {{ ref('fct_order_items') }}
where (amount < 0 or quantity <= 0)
  and order_id in (select order_id from {{ ref('int_touched_orders') }})
