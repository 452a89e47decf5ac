"""SecantusDB for the black-box suite, with plans that do not read everything.

As it comes, the server reads the whole collection, document by document in
Python, when a query names an index, has its conditions in an $and, or asks for a
range of _id. What a query finds depends on none of that. So here a hint is checked
(that of an index that does not exist is refused, as ever) and then left out, the
first condition of an $and may be looked up in an index, and a range of _id is
walked in the index of _id. What is found that way is compared with the whole query
by the server's own code. The contract of the engine runs against the server as it
comes.
"""

import sys

from secantus import storage
from secantus.cli import main
from secantus.storage import Storage

find, look_up = Storage.find_matching, Storage._try_index_lookup


def find_without_hint(self, db, coll, filter=None, *, hint=None, min_bound=None, max_bound=None, **how):
    if hint is not None and min_bound is None and max_bound is None:
        self.validate_hint(db, coll, hint)
        hint = None
    return find(self, db, coll, filter, hint=hint, min_bound=min_bound, max_bound=max_bound, **how)


def look_up_more(self, db, coll, filter, *, collation=None):
    rest = {k: v for k, v in filter.items() if k != "$and"}
    first = filter["$and"][0] if "$and" in filter else {}
    found = look_up(self, db, coll, filter if rest.keys() & first.keys() else rest | first, collation=collation)
    ids = filter.get("_id")
    if found is None and collation is None and isinstance(ids, dict) and len(ids) == 2:
        first, last = ids.get("$gte", ids.get("$gt")), ids.get("$lte", ids.get("$lt"))
        if first is not None and last is not None:
            return self._docs_by_recordids(db, coll, list(walk_ids(self, db, coll, first, last)))
    return found


def walk_ids(self, db, coll, first, last):
    """Yield the record numbers of all _id from first to last, in their order."""
    cursor = self._cursor(storage._NAT_SEQ_TABLE)
    cursor.set_key(db, coll, storage._id_key(first))
    near = cursor.search_near()
    if near == storage.wt.WT_NOTFOUND or near < 0 and cursor.next() != 0:
        return
    last = storage._id_key(last)
    while tuple(cursor.get_key()[:2]) == (db, coll) and bytes(cursor.get_key()[2]) <= last:
        yield int(cursor.get_value())
        if cursor.next() != 0:
            return


Storage.find_matching, Storage._try_index_lookup = find_without_hint, look_up_more
sys.exit(main())
