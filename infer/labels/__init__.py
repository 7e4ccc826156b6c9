"""What a student is taught: hard, static, dynamic or stored-ahead (fkd) labels."""
