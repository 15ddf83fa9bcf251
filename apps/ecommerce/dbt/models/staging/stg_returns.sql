select
  return_id,
  order_item_id,
  order_id,
  quantity,
  amount,
  reason,
  {{ utc('returned_at') }} as returned_at
from {{ source('raw', 'returns') }}
