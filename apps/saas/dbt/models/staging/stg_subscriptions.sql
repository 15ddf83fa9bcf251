select
  subscription_id,
  organisation_id,
  plan as first_plan,
  {{ utc('started_at') }} as started_at
from {{ latest('subscriptions', 'subscription_id') }} as subscriptions
