select
  organisation_id,
  name,
  country,
  {{ utc('created_at') }} as created_at
from {{ latest('organisations', 'organisation_id') }} as organisations
