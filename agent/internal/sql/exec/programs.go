package exec

import (
	"sync"

	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
)

// Programs runs the programs of gateways at the node that has the rows. It may be used by
// any number of goroutines.
type Programs struct {
	mu       sync.Mutex
	compiled map[string]*queryplan.Compiled // by their texts
}

// maxCompiled is how many programs are kept compiled: a statement sends the same one to each
// range, each time that it is run.
const maxCompiled = 256

// NewPrograms returns Programs.
func NewPrograms() *Programs { return &Programs{compiled: map[string]*queryplan.Compiled{}} }

// Begin begins a program for one scan of a range.
func (p *Programs) Begin(program []byte) (kv.Program, error) {
	text, known, err := queryplan.SplitProgram(program)
	if err != nil {
		return nil, err
	}
	c, err := p.compile(text)
	if err != nil {
		return nil, err
	}
	env, err := c.Env(known)
	if err != nil {
		return nil, err
	}
	env.Row = make([]datum.Datum, c.Columns)
	if c.Rows {
		return &sieve{env: env, decoder: c.Decoder, filter: c.Filter}, nil
	}
	return newAdder(&c.Grouping, c.Decoder, c.Filter, env), nil
}

func (p *Programs) compile(text []byte) (*queryplan.Compiled, error) {
	p.mu.Lock()
	c, ok := p.compiled[string(text)]
	p.mu.Unlock()
	if ok {
		return c, nil
	}
	c, err := queryplan.CompileProgram(text)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.compiled) >= maxCompiled {
		clear(p.compiled)
	}
	p.compiled[string(text)] = c
	return c, nil
}
