package syntax

import "sync"

// Cache keeps parsed statements by their text, so that the same text is parsed
// once. It holds two generations of at most limit statements each: what was not
// asked for while one generation filled up is forgotten.
type Cache struct {
	limit int
	mu    struct {
		sync.Mutex
		young, old map[string]*Statement
		cost       int64 // of young
	}
}

const (
	// maxCachedText keeps bulk inserts, whose text never comes again, out.
	maxCachedText = 8 << 10
	// maxCachedCost is the memory of one generation: few statements can be large.
	maxCachedCost = 16 << 20
)

// NewCache returns a cache of up to 2*limit statements.
func NewCache(limit int) *Cache {
	c := &Cache{limit: limit}
	c.mu.young = map[string]*Statement{}
	return c
}

// Parse is Parse, remembered. Errors are not.
func (c *Cache) Parse(text string) (*Statement, error) {
	if len(text) > maxCachedText {
		return Parse(text)
	}
	if s := c.find(text); s != nil {
		return s, nil
	}
	s, err := Parse(text)
	if err != nil {
		return nil, err
	}
	if s.Secret() {
		return s, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.addLocked(text, s)
	return s, nil
}

func (c *Cache) find(text string) *Statement {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s, ok := c.mu.young[text]; ok {
		return s
	}
	s, ok := c.mu.old[text]
	if ok {
		c.addLocked(text, s)
	}
	return s
}

func (c *Cache) addLocked(text string, s *Statement) {
	cost := Cost(text)
	if len(c.mu.young) >= c.limit || c.mu.cost+cost > maxCachedCost {
		c.mu.old, c.mu.young, c.mu.cost = c.mu.young, map[string]*Statement{}, 0
	}
	c.mu.young[text] = s
	c.mu.cost += cost
}
