echo $((${HOSTNAME##*-} + 1)) > /data/myid
exec zkServer.sh start-foreground
