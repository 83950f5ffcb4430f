//go:build !linux

package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
)

var errOther = fmt.Errorf("control sockets need Linux, not %s: %w", runtime.GOOS, errors.ErrUnsupported)

func listenUnix(Peer, string) (*net.UnixListener, error) { return nil, errOther }

func dialUnix(context.Context, string) (*net.UnixConn, error) { return nil, errOther }

func scanAbstract(context.Context, func(string)) error { return errOther }

func checkDir(string) error { return errOther }

func peerCred(*net.UnixConn) (cred, error) { return cred{}, errOther }

func self() identity { return identity{euid: uint32(os.Geteuid())} }
