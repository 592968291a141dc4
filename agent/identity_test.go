package agent

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestOtherFormatsAreRefused(t *testing.T) {
	for format, want := range map[int]string{
		1:                  "from before the first release",
		identityFormat + 1: "start it with the newer nodedb-agent",
		0:                  "is incomplete",
	} {
		dir := t.TempDir()
		text := fmt.Sprintf(`{"format":%d,"clusterId":"c","node":1,"uuid":"u"}`, format)
		if err := os.WriteFile(identityPath(dir), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := LoadIdentity(dir)
		var exit *ExitError
		if !errors.As(err, &exit) || exit.Code != ExitDataDir || !strings.Contains(exit.Message, want) {
			t.Errorf("format %d: got %v, want exit %d and %q", format, err, ExitDataDir, want)
		}
	}
}
