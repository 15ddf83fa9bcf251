{{ config(meta={'dagster': {'ref': {'name': 'fct_quarantine', 'package': project_name}}}) }}
-- depends_on: {{ ref('fct_quarantine') }}, whose check in Dagster it is
-- Single bad rows go to quarantine. If a load has many, more than 5 % of a table's rows, it is wrong as a whole: nothing is
-- published until somebody has looked. Rows that only refer to a bad row do not count.
{% for table in ['customers', 'products', 'orders', 'order_items', 'order_events', 'returns'] %}
select '{{ table }}' as table_name, loaded_rows, refused_rows
from (
  select
    count(*) as loaded_rows,
    sum(case when refused like 'out_of_range%' or refused like 'broken_reference%' then 1 else 0 end) as refused_rows
  from {{ ref('stg_' ~ table) }}
  where not has_waited
) as counted
where refused_rows >= 5 and refused_rows > 0.05 * loaded_rows
{{ 'union all' if not loop.last }}
{% endfor %}
