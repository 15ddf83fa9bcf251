-- There are few subscriptions, so each run counts all of them again.
with subscriptions as (
  select country, started_at, ended_at from {{ ref('fct_subscriptions') }}
),

months as (
  select date_trunc('month', started_at) as month from subscriptions
  union
  select date_trunc('month', ended_at) from subscriptions where ended_at is not null
)

select
  months.month,
  subscriptions.country,
  count(case when started_at < month and (ended_at is null or ended_at >= month) then 1 end) as active_at_start,
  count(case when date_trunc('month', started_at) = month then 1 end) as started,
  count(case when date_trunc('month', ended_at) = month then 1 end) as ended
from months
cross join subscriptions
group by months.month, subscriptions.country
