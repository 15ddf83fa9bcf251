select
  event_id,
  user_id,
  organisation_id,
  action,
  {{ utc('occurred_at') }} as occurred_at
from {{ latest('events', 'event_id') }} as events
