{{ config(materialized='incremental', unique_key='event_id', event_time='occurred_at') }}

select
  events.event_id,
  events.user_id,
  events.organisation_id,
  organisations.country,
  events.action,
  events.occurred_at
from {{ ref('stg_events') }} as events
left join {{ ref('stg_organisations') }} as organisations on organisations.organisation_id = events.organisation_id
