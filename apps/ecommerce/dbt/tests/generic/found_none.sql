{# Fails for each finding of a kind (model stg_findings). #}
{% test found_none(model, column_name, kind) %}
select *
from {{ model }}
where {{ column_name }} = '{{ kind }}'
{% endtest %}
