{{ config(materialized='view') }}

with digits as (
  {% for number in range(10) -%}
  select {{ number }} as digit {{ 'union all' if not loop.last }}
  {% endfor %}
),

numbers as (
  select 1000 * thousands.digit + 100 * hundreds.digit + 10 * tens.digit + ones.digit as number
  from digits as thousands
  cross join digits as hundreds
  cross join digits as tens
  cross join digits as ones
)

select cast({{ dbt.dateadd('day', 'number', "cast('2020-01-01' as date)") }} as date) as day
from numbers
