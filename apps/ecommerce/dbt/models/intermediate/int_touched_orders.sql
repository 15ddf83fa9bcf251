-- The orders to compute again: those that came, and those of which something came.
select order_id from {{ ref('stg_orders') }} where refused is null
union
select order_id from {{ ref('stg_order_items') }} where refused is null
union
select order_id from {{ ref('stg_order_events') }} where refused is null
{% if is_incremental() %}
union
-- Those from which an item went to another order.
select order_id
from {{ source('published', 'fct_order_items') }} as published
where order_item_id in (select order_item_id from {{ ref('stg_order_items') }})
{% endif %}
