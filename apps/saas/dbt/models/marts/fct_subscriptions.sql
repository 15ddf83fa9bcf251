{{ config(materialized='incremental', unique_key='subscription_id') }}

-- The subscriptions that this run touches: those that began, and those that changed.
with began as (
  select subscription_id, organisation_id, first_plan, started_at from {{ ref('stg_subscriptions') }}
  {% if is_incremental() %}
  union all
  select subscription_id, organisation_id, first_plan, started_at
  from {{ this }}
  where subscription_id in (select subscription_id from {{ ref('stg_subscription_events') }})
    and subscription_id not in (select subscription_id from {{ ref('stg_subscriptions') }})
  {% endif %}
),

stated as (
  select subscription_id, change, plan, occurred_at from {{ ref('stg_subscription_events') }}
  union all
  select subscription_id, 'started', first_plan, started_at from {{ ref('stg_subscriptions') }}
  {% if is_incremental() %}
  union all
  select subscription_id, last_change, plan, changed_at from {{ this }}
  where subscription_id in (select subscription_id from began)
  {% endif %}
),

latest as (
  select
    subscription_id,
    change,
    plan,
    occurred_at,
    row_number() over (partition by subscription_id order by occurred_at desc, change desc) as number
  from stated
)

select
  began.subscription_id,
  began.organisation_id,
  organisations.country,
  began.first_plan,
  latest.plan,
  began.started_at,
  latest.change as last_change,
  latest.occurred_at as changed_at,
  case when latest.change = 'cancelled' then latest.occurred_at end as ended_at
from began
inner join latest on latest.subscription_id = began.subscription_id and latest.number = 1
left join {{ ref('stg_organisations') }} as organisations on organisations.organisation_id = began.organisation_id
