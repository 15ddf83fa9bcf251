with judged as (
  select
    loaded.*,
    case when unit_price not between 0 and 999999999 then 'out_of_range: unit_price' end as refused
  from ({{ loaded('products') }}) as loaded
)

{{ versions('products', 'judged') }}
