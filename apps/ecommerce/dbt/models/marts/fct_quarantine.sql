{%- set tables = ['customers', 'products', 'orders', 'order_items', 'order_events', 'returns'] -%}
-- A row leaves the quarantine when a later version of it can be used, or what it refers to has come.
with seen as (
  {% for table in tables %}
  select
    cast('{{ table }}' as varchar) as table_name,
    {{ key_of(table) }} as row_key,
    cast(refused as varchar) as reason,
    batch_id,
    loaded_at,
    cast({{ json_row(raw_columns(table).keys() | list) }} as varchar) as content,
    version
  from {{ ref('stg_' ~ table) }}
  where {{ key_of(table) }} in (
    select {{ key_of(table) }} from {{ ref('stg_' ~ table) }} where refused is not null
    {% if is_incremental() %}
    union all
    select row_key from {{ source('published', 'fct_quarantine') }} as quarantine where table_name = '{{ table }}'
    {% endif %}
  )
  {{ 'union all' if not loop.last }}
  {% endfor %}
)

select table_name, row_key, reason, batch_id, loaded_at, content
from seen as refused
where reason is not null and version = 1
  and not exists (
    select 1
    from seen as used
    where used.table_name = refused.table_name and used.row_key = refused.row_key
      and used.reason is null and used.loaded_at >= refused.loaded_at
  )
{% if is_incremental() %}
union all
select table_name, row_key, reason, batch_id, loaded_at, content
from {{ source('published', 'fct_quarantine') }} as quarantine
where not exists (
  select 1 from seen where seen.table_name = quarantine.table_name and seen.row_key = quarantine.row_key
)
{% endif %}
