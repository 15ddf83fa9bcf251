with loaded as (
  {{ loaded('order_events') }}
),

judged as (
  select
    loaded.*,
    case
      when ordered.order_id is not null then null
      when refused.row_key is not null then 'in_quarantine: order_id'
      else 'broken_reference: order_id'
    end as refused
  from loaded
  left join ({{ known('orders', 'loaded') }}) as ordered on ordered.order_id = loaded.order_id
  left join ({{ refused('orders') }}) as refused on refused.row_key = loaded.order_id
)

{{ versions('order_events', 'judged') }}
