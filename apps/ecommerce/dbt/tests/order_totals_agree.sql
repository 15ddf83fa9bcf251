-- The total of an order is the sum of its items, to the cent.
select
  order_id,
  total,
  amount
from {{ ref('orders') }}
where total <> amount
