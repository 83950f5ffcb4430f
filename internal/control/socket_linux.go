package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// unixTable lists the sockets of the calling thread's network namespace, which
// is also where it connects to and opens abstract sockets.
const unixTable = "/proc/thread-self/net/unix"

// deadAfter is how old the file of a socket that nobody listens on must be to
// be removed. It spares the one between its bind and its listen.
const deadAfter = time.Minute

// listenUnix opens the socket, and its directory if it has one.
func listenUnix(p Peer, dir string) (*net.UnixListener, error) {
	if dir == "" {
		return net.ListenUnix("unix", &net.UnixAddr{Name: p.Name, Net: "unix"})
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := checkDir(dir); err != nil {
		return nil, err
	}
	if err := removeDead(dir); err != nil {
		return nil, err
	}
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: p.Name, Net: "unix"})
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(p.Name, 0o600); err != nil {
		ln.Close()
		return nil, err
	}
	return ln, nil
}

// checkDir returns an error unless dir belongs to this user alone. It does not
// follow a symbolic link, which another user may have put there.
func checkDir(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.IsDir() || !ok:
		return fmt.Errorf("%s is not a directory", dir)
	case int(stat.Uid) != os.Geteuid():
		return fmt.Errorf("directory %s belongs to uid %d, not to uid %d: choose one of your own", dir, stat.Uid, os.Geteuid())
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("directory %s is open to other users (mode %#o): chmod 700 it or choose another", dir, info.Mode().Perm())
	}
	return nil
}

// removeDead removes the sockets that killed processes left in dir.
func removeDead(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		p, ok := parsePath(dir, e.Name(), os.Geteuid())
		if !ok || e.Type() != os.ModeSocket {
			continue
		}
		info, err := e.Info()
		if err != nil || time.Since(info.ModTime()) < deadAfter {
			continue
		}
		conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: p.Name, Net: "unix"})
		switch {
		case err == nil:
			conn.Close()
		case errors.Is(err, syscall.ECONNREFUSED):
			// Two who clean up at the same time are not at odds.
			if err := os.Remove(p.Name); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

func dialUnix(ctx context.Context, name string) (*net.UnixConn, error) {
	if !strings.HasPrefix(name, "@") && !filepath.IsAbs(name) {
		return nil, fmt.Errorf("%.128q is not the name of a control socket", name)
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", name)
	if err != nil {
		return nil, err
	}
	return conn.(*net.UnixConn), nil
}

// scanAbstract passes on the names of listening sockets, some twice. It reads
// the table two times: one read does not happen at one moment, and a socket
// that closes meanwhile can hide its neighbour.
func scanAbstract(ctx context.Context, add func(name string)) error {
	for range 2 {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := scanTable(unixTable, add); err != nil {
			return err
		}
	}
	return nil
}

func scanTable(path string, add func(name string)) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return parseUnix(f, add)
}
