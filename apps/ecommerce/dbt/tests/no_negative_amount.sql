select order_item_id
from {{ ref('order_items') }}
where amount < 0 or quantity <= 0
