with judged as (
  select loaded.*, cast(null as varchar) as refused
  from ({{ loaded('customers') }}) as loaded
)

{{ versions('customers', 'judged') }}
