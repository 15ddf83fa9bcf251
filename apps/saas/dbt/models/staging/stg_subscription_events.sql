select
  subscription_event_id,
  subscription_id,
  change,
  plan,
  {{ utc('occurred_at') }} as occurred_at
from {{ latest('subscription_events', 'subscription_event_id') }} as subscription_events
