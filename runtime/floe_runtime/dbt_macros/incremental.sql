{# How a run adds to what is published. It builds in a scratch database or schema, in which nothing is published yet:
   an incremental model becomes a table with what the run adds or changes, MODEL__delta, and a view MODEL, which shows the
   mart as it will be. floe publishes the delta after all tests have passed. #}

{# Whether the run adds to what is published. It is the same for all models of a run, whatever they are materialized as. #}
{% macro is_incremental() -%}
  {{ return(execute and var('published_since', '') != '' and not should_full_refresh()) }}
{%- endmacro %}

{% macro floe_delta(relation) -%}
  {{ return(relation.replace_path(identifier=relation.identifier ~ '__delta').incorporate(type='table')) }}
{%- endmacro %}

{# A condition for whole days: those of which floe shows the published rows. #}
{% macro floe_seen(column) -%}
  {{ column }} >= cast('{{ var("published_since") }}' as timestamp)
{%- endmacro %}

{# The rows of a mart as they were published last, to stand after `from`. #}
{% macro floe_published(name) -%}
  {%- if target.type == 'duckdb' -%}
    published.{{ adapter.quote(name) }}
  {%- else -%}
    {%- set node = graph.nodes.values() | selectattr('resource_type', 'equalto', 'model') | selectattr('name', 'equalto', name) | first -%}
    {%- set table = target.database ~ '.' ~ var('marts_namespace') ~ '.' ~ adapter.quote(name) -%}
    {%- if node.config.event_time -%}
      (select * from {{ table }} where {{ floe_seen(node.config.event_time) }})
    {%- else -%}
      {{ table }}
    {%- endif -%}
  {%- endif -%}
{%- endmacro %}

{# A source with an event_time has only the rows that the run is to work through, such as those loaded since the last
   publication. The source `published` has the marts as they were published last. With DuckDB, both are views that floe
   creates. In a unit test, which has no published marts, it has the rows that the test gives. #}
{% macro source(source_name, table_name) -%}
  {%- set relation = builtins.source(source_name, table_name) -%}
  {%- if source_name == 'published' and execute and var('published_since', '') != '' -%}
    {{ return(floe_published(table_name)) }}
  {%- elif execute and target.type != 'duckdb' and table_name in var('loaded', {}) -%}
    {{ return('(select * from ' ~ relation ~ ' where ' ~ var('loaded')[table_name] ~ ')') }}
  {%- else -%}
    {{ return(relation) }}
  {%- endif -%}
{%- endmacro %}

{% macro floe_incremental() -%}
  {%- set keys = config.require('unique_key') -%}
  {%- set keys = [keys] if keys is string else keys -%}
  {%- set day = config.get('event_time') -%}
  {%- set model_table = this.incorporate(type='table') -%}
  {{ run_hooks(pre_hooks) }}
  {%- if not is_incremental() -%}
    {%- call statement('main') -%}
      {{ get_create_table_as_sql(False, model_table, sql) }}
    {%- endcall -%}
  {%- else -%}
    {%- set view, delta = this.incorporate(type='view'), floe_delta(this) -%}
    {%- set published = floe_published(model.name) -%}
    {# While the model is built, its own name shows what is published. #}
    {%- call statement('published') -%}
      create or replace view {{ view }} as select * from {{ published }} as published
    {%- endcall -%}
    {%- call statement('main') -%}
      {{ get_create_table_as_sql(False, delta, sql) }}
    {%- endcall -%}
    {%- set before = adapter.get_columns_in_relation(view) | map(attribute='name') | list -%}
    {%- set after = adapter.get_columns_in_relation(delta) | map(attribute='name') | list -%}
    {%- if before | sort != after | sort -%}
      {{ exceptions.raise_compiler_error(
          'its columns are not those of the published mart (' ~ before | join(', ') ~
          '): start a run with the tag floe/full-refresh: true') }}
    {%- endif -%}
    {%- if day -%}
      {%- set late = run_query('select count(*) from ' ~ delta ~ ' where not ' ~ floe_seen(day)).columns[0][0] -%}
      {%- if late -%}
        {%- do exceptions.warn(late ~ ' rows of ' ~ model.name ~ ' are older than the lookback and left out') -%}
        {%- do run_query('delete from ' ~ delta ~ ' where not ' ~ floe_seen(day)) -%}
      {%- endif -%}
    {%- endif -%}
    {%- set columns = before | map('string') | list -%}
    {%- call statement('merged') -%}
      create or replace view {{ view }} as
      select {% for name in before %}published.{{ adapter.quote(name) }}{{ ', ' if not loop.last }}{% endfor %}
      from {{ published }} as published
      where not exists (
        select 1 from {{ delta }} as delta
        where {% for key in keys %}delta.{{ key }} = published.{{ key }}{{ ' and ' if not loop.last }}{% endfor %}
      )
      union all
      select {% for name in before %}{{ adapter.quote(name) }}{{ ', ' if not loop.last }}{% endfor %}
      from {{ delta }}
    {%- endcall -%}
    {%- set model_table = view -%}
  {%- endif -%}
  {{ run_hooks(post_hooks) }}
  {%- do adapter.commit() -%}
  {{ return({'relations': [model_table]}) }}
{%- endmacro %}

{% materialization incremental, adapter='duckdb' %}
  {{ return(floe_incremental()) }}
{% endmaterialization %}

{% materialization incremental, adapter='trino' %}
  {{ return(floe_incremental()) }}
{% endmaterialization %}

{# A generic test of an incremental model reads what the run adds. Its other rows passed the test when they were published. #}
{% macro get_where_subquery(relation) -%}
  {%- set tested = graph.nodes.get(model.attached_node) if execute -%}
  {%- if tested and tested.config.materialized == 'incremental' and is_incremental() -%}
    {%- set relation = floe_delta(relation) -%}
  {%- endif -%}
  {%- set where = config.get('where') -%}
  {{ return('(select * from ' ~ relation ~ ' where ' ~ where ~ ') dbt_subquery' if where else relation) }}
{%- endmacro %}
