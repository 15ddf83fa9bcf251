{# The latest version of each row that is to be worked through. A row that was loaded twice counts once. #}
{% macro latest(table, key) -%}
  (
    select *
    from (
      select loaded.*, row_number() over (partition by {{ key }} order by _loaded_at desc) as version
      from {{ source('raw', table) }} as loaded
    ) as versions
    where version = 1
  )
{%- endmacro %}

{# The plan that has a price of a seat and month. Invoices state the price only. #}
{% macro plan_of(seat_price) -%}
  cast(case {{ seat_price }} when 9 then 'starter' when 19 then 'team' when 39 then 'business' end as varchar)
{%- endmacro %}
