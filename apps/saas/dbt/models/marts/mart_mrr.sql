{{ config(materialized='incremental', unique_key='invoice_id', event_time='issued_at') }}

-- An invoice is for one month, so its total is what the subscription brings in that month.
select
  invoices.invoice_id,
  invoices.subscription_id,
  subscriptions.country,
  {{ plan_of('invoices.seat_price') }} as plan,
  invoices.seats,
  invoices.total as mrr,
  invoices.issued_at
from {{ ref('stg_invoices') }} as invoices
left join {{ ref('fct_subscriptions') }} as subscriptions
  on subscriptions.subscription_id = invoices.subscription_id
