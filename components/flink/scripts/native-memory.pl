# What a JVM says about its native memory, without a JDK: jcmd's protocol, in the Perl that Debian and Ubuntu images have.
# Run inside the container, as the JVM's user:
#   kubectl exec -i POD -c taskmanager -- perl - < components/flink/scripts/native-memory.pl
# The argument is the JVM's process id, 1 by default.
use strict;
use warnings;
use IO::Socket::UNIX;

my $pid = shift // 1;
my $path = "/tmp/.java_pid$pid";
unless (-S $path) {    # the JVM opens it when it finds this file at a SIGQUIT; without the file it would print threads
    open my $file, '>', "/tmp/.attach_pid$pid" or die "/tmp/.attach_pid$pid: $!\n";
    kill QUIT => $pid or die "process $pid: $!\n";
    for (1 .. 100) { last if -S $path; select undef, undef, undef, 0.1 }
    unlink "/tmp/.attach_pid$pid";
}
my $jvm = IO::Socket::UNIX->new(Peer => $path) or die "$path: $!\n";
print $jvm join "\0", 1, 'jcmd', 'VM.native_memory summary', '', '', '';    # version, command, three arguments
$jvm->flush;
my $code = <$jvm>;
print while <$jvm>;
exit $code;
