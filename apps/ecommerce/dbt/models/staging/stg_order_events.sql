select
  order_event_id,
  order_id,
  status,
  {{ utc('occurred_at') }} as occurred_at
from {{ source('raw', 'order_events') }}
