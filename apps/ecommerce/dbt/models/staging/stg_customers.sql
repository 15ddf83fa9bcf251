select
  customer_id,
  name,
  lower(email) as email,
  country,
  city,
  segment,
  {{ utc('created_at') }} as created_at
from {{ source('raw', 'customers') }}
