package terminology

import (
	"container/list"
	"sync"
)

// cache keeps compiled resources, the least recently used go first. It is
// bounded by the sum of weights (concepts and listed codes).
type cache struct {
	mu    sync.Mutex
	max   int
	used  int
	items map[string]*list.Element
	order *list.List // of *cached, most recent first
}

type cached struct {
	key    string
	value  any
	weight int
}

func newCache(limit int) *cache {
	return &cache{max: limit, items: map[string]*list.Element{}, order: list.New()}
}

func (c *cache) get(key string) (any, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.items[key]
	if e == nil {
		return nil, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*cached).value, true
}

// put keeps the value unless it alone is larger than the cache.
func (c *cache) put(key string, value any, weight int) {
	if weight > c.max {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.items[key] != nil {
		return // a concurrent call compiled the same
	}
	c.items[key] = c.order.PushFront(&cached{key, value, weight})
	c.used += weight
	for c.used > c.max {
		e := c.order.Back()
		old := c.order.Remove(e).(*cached)
		delete(c.items, old.key)
		c.used -= old.weight
	}
}
