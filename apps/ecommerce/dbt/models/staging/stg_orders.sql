with loaded as (
  {{ loaded('orders') }}
),

judged as (
  select
    loaded.*,
    case
      when total not between 0 and 999999999 then 'out_of_range: total'
      {% if is_incremental() %}
      when ordered_at < cast('{{ var("published_since") }}' as timestamp) then 'too_late: ordered_at'
      {% endif %}
      when customer.customer_id is not null then null
      when refused.row_key is not null then 'in_quarantine: customer_id'
      else 'broken_reference: customer_id'
    end as refused
  from loaded
  left join ({{ known('customers', 'loaded') }}) as customer on customer.customer_id = loaded.customer_id
  left join ({{ refused('customers') }}) as refused on refused.row_key = loaded.customer_id
)

{{ versions('orders', 'judged') }}
