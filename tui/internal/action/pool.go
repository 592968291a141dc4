package action

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/nodedb/nodedb/client/adminpb"
)

// poolOptions is what AlterPool reads, for those who wrote something else.
const poolOptions = "options of a pool: --replicas 5, --constraints +zone=a,-disk=hdd, --prefer-leader zone=b"

// AlterPool makes the alteration that text asks for, with the options that
// nodedbctl pools alter has: --replicas 5 --constraints +zone=a. Those that are not
// named stay as they are.
func AlterPool(name, text string) (*Action, error) {
	var wish adminpb.PoolWish
	command := []string{"nodedbctl pools alter", name}
	words := strings.Fields(text)
	for len(words) > 0 {
		option, value, joined := strings.Cut(words[0], "=")
		words = words[1:]
		if !joined {
			if len(words) == 0 {
				return nil, fmt.Errorf("each option takes a value; %s", poolOptions)
			}
			value, words = words[0], words[1:]
		}
		value = strings.Trim(value, `'"`)
		if err := wishOf(&wish, option, value); err != nil {
			return nil, err
		}
		if value == "" {
			value = "''"
		}
		command = append(command, option, value)
	}
	if len(command) == 2 {
		return nil, fmt.Errorf("nothing to change; %s", poolOptions)
	}
	return operation(&adminpb.OperationSpec{Kind: "pool-alter", Pool: name, Wanted: &wish},
		Action{Title: "alter pool " + name, Command: strings.Join(command, " "), Word: name, Undo: "nodedbctl ops cancel OP, until it has ended"}), nil
}

func wishOf(wish *adminpb.PoolWish, option, value string) error {
	switch option {
	case "--replicas":
		n, err := strconv.ParseUint(value, 10, 8)
		if err != nil {
			return fmt.Errorf("--replicas takes 1, 3, 5 or 7, not %q", value)
		}
		replicas := uint32(n)
		wish.Replicas = &replicas
	case "--constraints":
		wish.Constraints = &value
	case "--prefer-leader":
		wish.PreferLeader = &value
	default:
		return fmt.Errorf("%s", poolOptions)
	}
	return nil
}

// DropPool ends a pool that no collection is in.
func DropPool(name string) *Action {
	a := operation(&adminpb.OperationSpec{Kind: "pool-drop", Pool: name},
		Action{Title: "drop pool " + name, Command: "nodedbctl pools drop " + name, Word: name})
	look := a.Look
	a.Look = func(ctx context.Context, c adminpb.AdminClient) (*Verdict, error) {
		v, err := look(ctx, c)
		if err == nil && v.Allowed {
			v.Text = append(v.Text, "the ranges of pool "+name+" and their replicas are removed")
		}
		return v, err
	}
	return a
}
