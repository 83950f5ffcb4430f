package control

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// roleEnv makes the test binary play another process instead of testing.
const roleEnv = "HANDOVER_CONTROL_TEST_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleEnv); role != "" {
		play(role)
		return
	}
	goleak.VerifyTestMain(m)
}
